/** Where an adapter's factors begin, by name; any other name is an adapter's. */
export const STARTS = ['random', 'pissa', 'milora'] as const;

export type Start = (typeof STARTS)[number];

export const isStart = (init: string): init is Start => (STARTS as readonly string[]).includes(init);
