/** States of a connector, and the only ways between them. */
export type ConnectorState = 'starting' | 'running' | 'retrying' | 'draining' | 'stopped' | 'failed';

const NEXT: Readonly<Record<ConnectorState, readonly ConnectorState[]>> = {
  starting: ['running', 'retrying', 'draining', 'stopped', 'failed'],
  running: ['retrying', 'draining', 'stopped', 'failed'],
  retrying: ['starting', 'draining', 'stopped', 'failed'],
  draining: ['stopped', 'failed'],
  stopped: [],
  // By an operator's command only, which has mended the cause.
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
