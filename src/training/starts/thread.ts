import { serveJobs } from '../../base/jobThreads.js';
import { findFactors } from './find.js';

/** A thread that finds factors; see `singularStart`. */
serveJobs(findFactors, ({ a, b }) => [a.buffer, b.buffer]);
