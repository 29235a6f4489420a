import { expect, test } from 'vitest';
import { validateCommand } from '../../../src/cli/validate.ts';
import { connector, memoryFiles, registry } from '../config/plugins.ts';

async function validate(files: Record<string, string>, json = false, env = {}) {
  let output = '';
  const write = (text: string) => {
    output += text;
  };
  const exit = await validateCommand({ paths: [], env, registry, json, write, files: memoryFiles(files), cwd: '/w' });
  return { exit, output };
}

const shop = JSON.stringify(connector({ source: { password: '${env:NOT_SET}' } }));

test('a valid configuration: one line for each connector, exit code 0, and no secret is needed', async () => {
  expect(await validate({ '/w/connectors/shop.json': shop })).toEqual({
    exit: 0,
    output: 'connectors/shop.json: "shop", cistern to pond, is valid\nno errors\n',
  });
});

test('a wrong one: each problem with place, code and remedy, exit code 2', async () => {
  const text =
    '{\n  "name": "shop",\n  "source": {"type": "cistern", "url": "cistern://db", "tabels": ["a"], "tables": ["a"]},\n  "sink": {"type": "pond"}\n}';
  expect(await validate({ '/w/connectors/shop.json': text })).toEqual({
    exit: 2,
    output:
      'connectors/shop.json:3:56  source.tabels\n' +
      '  error SLUICE_CONFIG_UNKNOWN_KEY: There is no option "tabels" here.\n' +
      '  remedy: Did you mean "tables"?\n\n' +
      '1 error\n',
  });
});

test('a warning does not make it invalid', async () => {
  const { exit, output } = await validate({ '/w/connectors/shop.json': JSON.stringify(connector({ source: { password: 'canary' } })) });
  expect(exit).toBe(0);
  expect(output).toContain('warning SLUICE_CONFIG_SECRET_INLINE');
  expect(output).toContain('no errors, 1 warning\n');
  expect(output).not.toContain('canary');
});

test('--json: the same as one object', async () => {
  const good = await validate({ '/w/connectors/shop.json': shop }, true);
  expect(JSON.parse(good.output)).toEqual({
    valid: true,
    connectors: [{ name: 'shop', file: 'connectors/shop.json', source: 'cistern', format: 'debezium', sink: 'pond' }],
    errors: [],
    warnings: [],
  });
  const bad = await validate({ '/w/connectors/shop.json': '{' }, true);
  expect(bad.exit).toBe(2);
  expect(JSON.parse(bad.output)).toMatchObject({
    valid: false,
    connectors: [],
    errors: [{ code: 'SLUICE_CONFIG_SYNTAX', file: 'connectors/shop.json', path: '', line: 1, column: 2 }],
  });
});

test('what is wrong outside of any file has no line', async () => {
  const { output } = await validate({ '/w/connectors/shop.json': shop }, false, { SLUICE_HTTP: '8085' });
  expect(output).toContain('environment  SLUICE_HTTP\n  error SLUICE_CONFIG_PATTERN: "8085" does not have the right form.');
});
