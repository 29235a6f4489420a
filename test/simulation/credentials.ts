import type { Credentials } from '../../src/plugin/credential.ts';

/** Secrets that stand in the configuration, and no others. */
export const givenCredentials: Credentials = {
  get: (credential) => (typeof credential === 'string' ? Promise.resolve(credential) : Promise.reject(new Error('nothing is run here'))),
};
