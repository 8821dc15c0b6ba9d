export { familyOf, isPublic } from './addresses.js';
export { AllowList, allowList } from './allow-list.js';
export { connectFirst, type Dial } from './connect.js';
export { reasonOf } from './failures.js';
