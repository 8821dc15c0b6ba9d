/** For specs of this lib and of those who use it: faces without a model, versions with figures. */
export { fakeFace, fakeModel, fault } from './fake-face.js';
export { type Measured, measuredVersion, qualityOf } from './measured.js';
