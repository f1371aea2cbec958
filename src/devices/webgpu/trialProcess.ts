import { makePipeline, serveTrials } from './trialServer.js';

/** A process that makes pipelines, and may crash of it (see trials.ts). */
serveTrials(makePipeline);
