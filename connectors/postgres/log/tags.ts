/** Bytes that tell parts of pgoutput's messages apart. */

/** First byte of a message. */
export const TAG = {
  begin: 0x42,
  commit: 0x43,
  delete: 0x44,
  insert: 0x49,
  message: 0x4d,
  origin: 0x4f,
  relation: 0x52,
  truncate: 0x54,
  update: 0x55,
  type: 0x59,
} as const;
/** First byte of a tuple's part of a change. */
export const IMAGE = { key: 0x4b, new: 0x4e, old: 0x4f } as const;
/** First byte of a column in a tuple. */
export const COLUMN = { null: 0x6e, text: 0x74, unchanged: 0x75 } as const;
