/** What a session needs of @vlasky/zongji, which makes the connection and asks for the log. */

export interface LogRequest {
  readonly serverId: number;
  /** What is not wanted again; left out: `filename` and `position` say where to begin. */
  readonly gtidSet?: string;
  readonly filename?: string;
  readonly position?: number;
  /** Names of events that the library need not look at. */
  readonly excludeEvents: string[];
  readonly requestAnnotateRows: boolean;
}

export interface Library {
  /** mysql2's; null: there is none yet, or no more. */
  readonly connection: unknown;
  /** Another one, which it asks things over before it asks for the log, and to end it; idle in between. */
  readonly ctrlConnection: unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  /** It is about to ask for the log. */
  on(event: 'ready', listener: () => void): unknown;
  once(event: 'stopped', listener: () => void): unknown;
  start(request: LogRequest): void;
  stop(): void;
}
