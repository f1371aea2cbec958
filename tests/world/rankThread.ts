/** A thread that has been given a channel's port, as an actor is. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { channelAt } from '#src/world/channel.js';

const { port, rank } = workerData as { port: MessagePort; rank: number };
parentPort!.postMessage(await channelAt(port).gather(rank, 'thread'));
