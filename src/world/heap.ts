import koffi from 'koffi';

/** A page of any system. */
const ROOM_BYTES = 65_536;

/**
 * Makes room above the process's heap, which V8's code may lie right behind. UCX, a library of some MPIs, moves the heap's end
 * up and back by a page when it is loaded, to see whether it would be told; where it can't be moved up it is moved back all
 * the same, under what malloc has there (UCX 1.13; one start of 64 crashed). Where there is no room, UCX watches no memory.
 * No other thread may use the heap meanwhile.
 */
export function makeRoomAboveHeap(): void {
  try {
    const libc = koffi.load(null);
    const sbrk = libc.func('sbrk', 'intptr_t', ['intptr_t']);
    const hasRoom = () => Number(sbrk(ROOM_BYTES)) !== -1 && Number(sbrk(-ROOM_BYTES)) !== -1;
    if (hasRoom()) return;
    libc.func('malloc_trim', 'int', ['size_t'])(0);
    if (hasRoom()) return;
    libc.func('setenv', 'int', ['str', 'str', 'int'])('UCX_MEM_MMAP_HOOK_MODE', 'none', 0);
  } catch {
    // Other systems than Linux with glibc have no such function, and no UCX.
  }
}
