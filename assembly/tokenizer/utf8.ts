/** Reading valid UTF-8. */

// @ts-ignore: decorator
@inline
export function utf8Length(lead: u8): usize {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** The code point at `at`, whose UTF-8 has `length` bytes. */
// @ts-ignore: decorator
@inline
export function codePointAt(at: usize, length: usize): u32 {
  const lead = u32(load<u8>(at));
  if (length == 1) return lead;
  if (length == 2) return ((lead & 0x1f) << 6) | continuation(at + 1);
  if (length == 3) return ((lead & 0x0f) << 12) | (continuation(at + 1) << 6) | continuation(at + 2);
  return (
    ((lead & 0x07) << 18) | (continuation(at + 1) << 12) | (continuation(at + 2) << 6) | continuation(at + 3)
  );
}

// @ts-ignore: decorator
@inline
function continuation(at: usize): u32 {
  return u32(load<u8>(at)) & 0x3f;
}
