import { ALONE, type World } from './world.js';
export interface JoinOptions {
  readonly endAfterMs?: number;
}
export const joinWorld = async (_: JoinOptions = {}): Promise<World> => ALONE;
