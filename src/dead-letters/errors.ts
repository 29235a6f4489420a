import { defineError } from '../plugin/error.ts';

export const DEAD_LETTER_RATE = defineError({
  code: 'SLUICE_DEAD_LETTER_RATE',
  retry: 'manual',
  exit: 1,
  cause:
    '{letters} of the last {messages} messages of connector {connector} could not be delivered, more than {percent} %, the last one for "{destination}": {reason}.',
  remedy:
    'So many are no bad rows but a wrong setting: look at `sluice dlq list`, mend the cause and start again (nothing is lost), or raise deadLetter.maxPercent.',
});

export const DEAD_LETTER_UNKNOWN = defineError({
  code: 'SLUICE_DEAD_LETTER_UNKNOWN',
  retry: 'never',
  exit: 2,
  cause: 'Connector {connector} has no open dead letter with the id "{id}".',
  remedy: '`sluice dlq list` shows the ids of those that are open.',
});

export const DEAD_LETTER_STOPPED = defineError({
  code: 'SLUICE_DEAD_LETTER_STOPPED',
  retry: 'manual',
  exit: 1,
  cause: 'Connector {connector} is not running: dead letters are sent by the running connector, in order with its other messages.',
  remedy: 'Start it with `sluice run`, then run the command again.',
});

export const DEAD_LETTER_DAMAGED = defineError({
  code: 'SLUICE_DEAD_LETTER_DAMAGED',
  retry: 'manual',
  exit: 3,
  cause: 'The dead letter "{id}" of connector {connector} cannot be read: {path} is damaged at byte {offset}.',
  remedy:
    'Restore the directory of its dead letters from a copy, and start again. Or, while the daemon still runs, send the others (`sluice dlq replay --connector {connector} --all`), then let go what is left: `sluice dlq discard --connector {connector} --all`.',
});

export const deadLetterErrors = [DEAD_LETTER_DAMAGED, DEAD_LETTER_RATE, DEAD_LETTER_UNKNOWN, DEAD_LETTER_STOPPED];
