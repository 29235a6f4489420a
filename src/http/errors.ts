import { defineError } from '../plugin/error.ts';
import { REQUEST_INVALID } from './operation.ts';

export const HTTP_LISTEN = defineError({
  code: 'SLUICE_HTTP_LISTEN',
  retry: 'manual',
  exit: 3,
  cause: 'The HTTP listener cannot use {address}: {reason}.',
  remedy: 'Choose another address with http.listen in sluice.json or SLUICE_HTTP (for example 127.0.0.1:8086).',
});

export const HTTP_TLS = defineError({
  code: 'SLUICE_HTTP_TLS',
  retry: 'manual',
  exit: 2,
  cause: 'The HTTP listener cannot use {path}: {reason}.',
  remedy: 'Name files in PEM form that the user of the process may read, a certificate and its own key, in http.tls of sluice.json.',
});

export const httpErrors = [HTTP_LISTEN, HTTP_TLS, REQUEST_INVALID];
