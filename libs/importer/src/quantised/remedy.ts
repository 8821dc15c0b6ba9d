/** What to do with a checkpoint whose form is not read. */
export const REMEDY = 'import the model that it was made from, with --dtype int4 or int8';
