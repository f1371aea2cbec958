import type { MessagePort } from 'node:worker_threads';
import * as Comlink from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { aloneChannel, type Channel } from './world.js';

/** The channel behind a port that came from another thread; without one, that of a process alone. */
export const channelAt = (port: MessagePort | undefined): Channel =>
  port ? (Comlink.wrap<Channel>(nodeEndpoint(port)) as unknown as Channel) : aloneChannel;

/** Offers a channel at a port, for another thread. */
export const offerChannel = (channel: Channel, port: MessagePort): void =>
  Comlink.expose(channel, nodeEndpoint(port));
