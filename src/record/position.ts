/**
 * A place in a source's log. Opaque to everything but its source: plain JSON whose numbers are strings (an LSN does not fit a JavaScript
 * number). The engine stores and returns it and never compares two of them.
 */
export type Position = { readonly [key: string]: string | null };

/**
 * Where a connector's output ends in a sink: entries that move one by one, each stored under a key of its own, because a sink may have one for each of
 * thousands of partitions. Opaque to everything but its sink; numbers as strings. Null as a value: the entry is removed.
 */
export type Place = { readonly [key: string]: string | null };

/**
 * How far copies of tables have come: entries that change one by one, each stored under a key of its own and saved with the offset of the same moment (I5). Plain
 * text; null as a value: the entry is removed.
 */
export type Progress = { readonly [key: string]: string | null };
