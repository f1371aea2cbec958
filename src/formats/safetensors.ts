/** Safetensors files: what is in them, reading them, writing them. */
export {
  bytesOf,
  DTYPE_BYTES,
  headerLength,
  LENGTH_BYTES,
  lengthOf,
  parseSafetensors,
  type SafetensorsDtype,
  type SafetensorsFile,
  type TensorInfo,
  type TensorType,
} from './safetensors/header.js';
export { openSafetensors, readFloat32, tensorChunks } from './safetensors/read.js';
export { streamSafetensors, type TensorData, writeSafetensors } from './safetensors/write.js';
