import { defineFinding } from '../plugin/finding.ts';

export const DOCTOR_STATE_UNSEEN = defineFinding({
  code: 'SLUICE_DOCTOR_STATE_UNSEEN',
  severity: 'warning',
  cause: 'The state of this connector could not be looked at: {detail}.',
  why: 'Whether the server still has what the connector must read next was not checked, and a session of its own daemon is taken for a stranger.',
  remedy: '{remedy}',
});

export const doctorFindings = [DOCTOR_STATE_UNSEEN];
