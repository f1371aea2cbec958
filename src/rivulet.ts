#!/usr/bin/env node
import { runProgram } from './cli/program.js';
import { runVerb } from './cli/verbs.js';

await runProgram(() => runVerb((verb) => import(`./${verb}.js`)));
