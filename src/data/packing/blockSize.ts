/** Where a block of rows ends: whichever comes first. */
export interface BlockSize {
  readonly rows: number;
  /**
   * With the row in which so many epochs are over since the block's start, so that little text is not read again and
   * again to fill a block: what is in a block twice is shuffled well enough.
   */
  readonly epochs: number;
}

/** A block of text that fills it holds one end of an epoch at most, and is the same with any larger number. */
export const BLOCK_EPOCHS = 2;
