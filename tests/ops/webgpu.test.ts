import { opsOn } from './webgpu.js';

const test = opsOn('f32');
test.run();
