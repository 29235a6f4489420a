/** States of a connector, and the only ways between them. */
export type ConnectorState = 'starting' | 'running' | 'retrying' | 'draining' | 'stopped' | 'failed';

const NEXT: Readonly<Record<ConnectorState, readonly ConnectorState[]>> = {
  starting: ['running', 'retrying', 'draining', 'stopped', 'failed'],
  running: ['retrying', 'draining', 'stopped', 'failed'],
  retrying: ['starting', 'draining', 'stopped', 'failed'],
  draining: ['stopped', 'failed'],
  stopped: [],
  failed: [],
};

/** True when a connector may go from one state to the other. */
export function mayFollow(from: ConnectorState, to: ConnectorState): boolean {
  return NEXT[from].includes(to);
}

/** Stopped for good: `run` ends when every connector is. */
export function isFinal(state: ConnectorState): boolean {
  return NEXT[state].length === 0;
}
