import { defineError } from '../plugin/error.ts';

export const INIT_UNANSWERED = defineError({
  code: 'SLUICE_INIT_UNANSWERED',
  retry: 'never',
  exit: 2,
  cause: 'The question "{what}" was not answered.',
  remedy: 'Answer it at a terminal, or say it on the command line: `{option}`.',
});

export const INIT_EXISTS = defineError({
  code: 'SLUICE_INIT_EXISTS',
  retry: 'never',
  exit: 2,
  cause: 'There is a file {path} already, which is left as it is.',
  remedy: 'Change it by hand (a running daemon follows), choose another name, or remove it first.',
});

export const INIT_WRITE = defineError({
  code: 'SLUICE_INIT_WRITE',
  retry: 'manual',
  exit: 3,
  cause: 'The file {path} could not be written: {reason}.',
  remedy: 'Make the directory one that you may write to, or name another one.',
});

export const INIT_OPTION = defineError({
  code: 'SLUICE_INIT_OPTION',
  retry: 'never',
  exit: 2,
  cause: '"{text}" names no option and value.',
  remedy: 'Write source.OPTION=value or sink.OPTION=value, as in --set sink.servers=nats://localhost:4222.',
});

export const initErrors = [INIT_UNANSWERED, INIT_EXISTS, INIT_WRITE, INIT_OPTION];
