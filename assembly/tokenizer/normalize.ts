import { allocate, release } from './memory';

/** Bytes behind every text that may be read: loads of 16 bytes run past its end. */
const READ_AHEAD: u64 = 16;

/** The text in work, UTF-8. */
export let text: usize = 0;
export let textBytes: usize = 0;

/** Room for a text of up to `capacity` bytes, which `endText` measures. */
export function beginText(capacity: u64): usize {
  text = allocate(capacity + READ_AHEAD);
  return text;
}

export function endText(bytes: usize): void {
  textBytes = bytes;
  release(text + bytes + usize(READ_AHEAD));
}

/** Puts `prefix` in front of the text, unless that is empty. */
export function prepend(prefix: usize, prefixBytes: usize): void {
  if (textBytes == 0) return;
  const source = text;
  const bytes = textBytes;
  const target = beginText(u64(prefixBytes) + bytes);
  memory.copy(target, prefix, prefixBytes);
  memory.copy(target + prefixBytes, source, bytes);
  endText(prefixBytes + bytes);
}

/** Replaces every occurrence of `pattern` (at least one byte), from left to right, by `content`. */
export function replace(pattern: usize, patternBytes: usize, content: usize, contentBytes: usize): void {
  let at = text;
  const end = text + textBytes;
  const growth = contentBytes > patternBytes ? contentBytes - patternBytes : 0;
  let out = beginText(u64(textBytes) + u64(textBytes / patternBytes) * growth);
  const first = load<u8>(pattern);
  while (at < end) {
    if (load<u8>(at) == first && at + patternBytes <= end && same(at, pattern, patternBytes)) {
      for (let i: usize = 0; i < contentBytes; i++) store<u8>(out++, load<u8>(content + i));
      at += patternBytes;
    } else {
      store<u8>(out++, load<u8>(at++));
    }
  }
  endText(out - text);
}

// @ts-ignore: decorator
@inline
function same(a: usize, b: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}
