/** Something that preflight found. Errors stop the connector before it starts; warnings are logged. */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'info';
  /** Stable code, as of errors. */
  readonly code: string;
  readonly message: string;
  /** The SQL or command that mends it. */
  readonly remedy: string;
  readonly table?: string;
}
