export { DivergedError, InputError, RunError } from './base/errors.js';
export type { CorpusStatistics } from './data/shards/statistics.js';
export { loadTokenizer, type Tokenizer } from './data/tokenizer.js';
export { type RougeOptions, type RougeScore, type RougeType, rouge } from './evaluation/rouge.js';
export type { Choices, ContinuationScore } from './evaluation/scoring.js';
export type { Completion, GenerationRecord } from './inference/completion.js';
export { loadModel, type Model } from './inference/model.js';
export type { CompletionOptions, ModelOptions, PerplexityOptions } from './inference/options.js';
export type { Prompt } from './inference/prompts.js';
export {
  type CacheHooks,
  type CacheProgress,
  cacheTeacher,
  type FilledCache,
} from './library/cacheTeacher.js';
export { type EvaluateHooks, type EvaluateProgress, type Evaluation, evaluate } from './library/evaluate.js';
export { type GenerateHooks, generate } from './library/generate.js';
export { type Merged, type MergeHooks, type MergeProgress, merge } from './library/merge.js';
export type { CachePlan, RunPlan } from './library/runPlan.js';
export { type Study, type StudyResult, study } from './library/study.js';
export type { TaskEvaluation, TaskProgress } from './library/taskEvaluation.js';
export {
  type Corpus,
  type PackedRows,
  type TokenizeHooks,
  type TokenizeProgress,
  tokenize,
} from './library/tokenize.js';
export { type Run, train } from './library/train.js';
export type { CacheInput } from './options/cache.js';
export type { EvaluateInput, EvaluateTasksInput } from './options/evaluate.js';
export type { GenerateInput } from './options/generate.js';
export type { MergeInput } from './options/merge.js';
export type { StudyInput } from './options/study.js';
export type { TokenizeInput } from './options/tokenize.js';
export type { TrainInput, TrainOptions } from './options/train.js';
export type * from './records.js';
export type { RunResult } from './run/result.js';
export type * from './study/records.js';
export { type JoinOptions, joinWorld } from './world/join.js';
export type { Place, World } from './world/world.js';
