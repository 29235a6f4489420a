/** A message that was the only one on its way. */
export interface Alone {
  readonly id: string;
  readonly subject: string;
  readonly bytes: number;
}

/** Why sending stopped. */
export type Trouble =
  /** `alone`: the first message of a session, when nothing of that session was confirmed yet. */
  | { readonly kind: 'lost'; readonly detail: string; readonly alone: Alone | null }
  /** The stream's end is not where we believed it. */
  | { readonly kind: 'resync' | 'again' | 'no responders' | 'full'; readonly detail: string };
