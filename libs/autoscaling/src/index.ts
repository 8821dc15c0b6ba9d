export { type Arrivals, addArrivals, arrivalRateAt } from './arrivals.js';
export { coldStartSeconds, DEFAULT_COLD_START_SECONDS } from './cold-starts.js';
export { type FleetSpeed, learnFleetSpeed, sizeClass, type Trial, usefulReplicas } from './fleet-speed.js';
export { type BatchShape, type Evidence, learnReplicaRate, RateEvidence } from './replica-rate.js';
export { type ReplicaInputs, replicasNeeded, targetSeconds } from './replicas.js';
