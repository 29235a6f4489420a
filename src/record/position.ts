/**
 * A place in a source's log. Opaque to everything but its source: plain JSON whose numbers are strings (an LSN does not fit a JavaScript
 * number). The engine stores and returns it and never compares two of them.
 */
export type Position = { readonly [key: string]: string | null };

/** Where a connector's output ends in a sink. Opaque to everything but its sink; numbers as strings. */
export type Place = { readonly [key: string]: string | null };
