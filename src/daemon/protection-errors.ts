import { defineError } from '../plugin/error.ts';

export const SOURCE_PROTECTED = defineError({
  code: 'SLUICE_SOURCE_PROTECTED',
  retry: 'manual',
  exit: 3,
  cause: 'Connector {connector} has stopped, as "protect.stop" says: {reason}.',
  remedy:
    'Nothing is lost yet. Find what keeps it behind (the sink, the network, a long transaction), then start it again: sluice restart --connector {connector}, or sluice run where no other connector keeps the daemon alive (it stops again only if it does not get better within "protect.patience"). {remedy}',
});

export const SOURCE_GIVEN_UP = defineError({
  code: 'SLUICE_SOURCE_GIVEN_UP',
  retry: 'manual',
  exit: 3,
  cause:
    'Connector {connector} has dropped its slot, as "protect.dropSlot" says: {reason}. The server deletes its log now, and what had not been confirmed is lost for this connector.',
  remedy:
    'It never goes on from a new slot by itself: a new snapshot is needed. Mend what kept it behind, set "snapshot": {"mode": "when_needed"} and start it again: the log is begun anew and all tables are copied once more; or give the connector another name.',
});

export const protectionErrors = [SOURCE_PROTECTED, SOURCE_GIVEN_UP];
