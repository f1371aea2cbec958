import { serveJobs } from '../../base/jobThreads.js';
import { layerChanges } from './layer.js';

/** A thread that finds what adapters do to weights; see `adapterChanges`. */
serveJobs(layerChanges);
