import type { RankingSide } from '../analysis/compare.js';

/** What a comparison shows, in words. @param holds whether it does so after the correction for all comparisons, too */
export function verdictText(verdict: RankingSide['verdict'], holds = false): string {
  switch (verdict) {
    case 'lower':
    case 'higher':
      return `a is ${verdict}${holds ? ', also after correction' : ''}`;
    case 'none':
      return 'no difference shown';
    case 'one seed':
      return 'one seed: not compared';
    case 'no pair':
      return 'no seed in common';
    default:
      return verdict;
  }
}
