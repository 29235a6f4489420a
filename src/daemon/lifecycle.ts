/** States of a connector, and the only ways between them. */
export type ConnectorState = 'starting' | 'running' | 'retrying' | 'draining' | 'paused' | 'stopped' | 'failed';

const NEXT: Readonly<Record<ConnectorState, readonly ConnectorState[]>> = {
  starting: ['running', 'retrying', 'paused', 'stopped', 'failed'],
  running: ['retrying', 'draining', 'stopped', 'failed'],
  retrying: ['starting', 'stopped', 'failed'],
  // To its end, or for another life.
  draining: ['retrying', 'stopped', 'failed'],
  paused: ['starting', 'stopped'],
  stopped: [],
  // By an operator's command only.
  failed: ['starting'],
};

/** True when a connector may go from one state to the other. */
export function mayFollow(from: ConnectorState, to: ConnectorState): boolean {
  return NEXT[from].includes(to);
}

/** Does nothing any more by itself: `run` ends when every connector is so. */
export function isFinal(state: ConnectorState): boolean {
  return state === 'stopped' || state === 'failed';
}
