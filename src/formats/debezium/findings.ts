import { defineFinding } from '../../plugin/finding.ts';

export const keyUnused = defineFinding({
  code: 'SLUICE_DEBEZIUM_KEY_UNUSED',
  severity: 'warning',
  cause: 'The entry "{entry}" of "format.messageKeyColumns" matches no captured table.',
  why: 'It is without effect: mostly it is misspelt, and a table goes by another key than is meant.',
  remedy: 'Correct it, or leave it for tables to come.',
});

export const debeziumFindings = [keyUnused];
