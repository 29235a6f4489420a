import { defineError } from '../plugin/error.ts';

export const HTTP_LISTEN = defineError({
  code: 'SLUICE_HTTP_LISTEN',
  retry: 'manual',
  exit: 3,
  cause: 'The HTTP listener cannot use {address}: {reason}.',
  remedy: 'Choose another address with http.listen in sluice.json or SLUICE_HTTP (for example 127.0.0.1:8086).',
});

export const httpErrors = [HTTP_LISTEN];
