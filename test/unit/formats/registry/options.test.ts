import { describe, expect, it } from 'vitest';
import { type RegistryConfig, validateRegistry } from '../../../../src/formats/registry/options.ts';
import { REGISTRY } from '../../../support/avro.ts';

describe('format.registry', () => {
  it.each<[string, Partial<RegistryConfig>, string[]]>([
    ['one URL', {}, []],
    ['several, with a path', { urls: ['https://a/apis/ccompat/v7', 'http://b:1'] }, []],
    ['no URL', { urls: ['registry:8081'] }, ['registry.urls[0]']],
    ['a password in a URL', { urls: ['http://user:secret@a'] }, ['registry.urls[0]']],
    ['a query', { urls: ['http://a?b=c'] }, ['registry.urls[0]']],
    ['TLS without it', { tls: {} }, ['registry.urls[0]']],
    ['a user without a password', { user: 'u' }, ['registry.user']],
    ['a password without a user', { password: 'p' }, ['registry.user']],
    ['two ways to say who connects', { user: 'u', password: 'p', token: 't' }, ['registry.token']],
    ['a token that no header takes', { token: 'secret\n' }, ['registry.token']],
    ['a token', { token: 'a.b-c_d~e+f/g==' }, []],
  ])('%s', (_what, given, paths) => {
    const problems = validateRegistry({ ...REGISTRY, ...given });
    expect(problems.map(({ path }) => path)).toEqual(paths);
    expect(JSON.stringify(problems)).not.toContain('secret');
  });
});
