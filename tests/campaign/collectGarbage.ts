import v8 from 'node:v8';
import vm from 'node:vm';

/**
 * Imported into every thread of a run (`node --import`): collects garbage now and then, so that the memory measured is
 * what is in use, and not what V8 has not cared to free.
 */
v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;
setInterval(collect, 500).unref();
