import { describe, expect, it } from 'vitest';
import { createLogger, type LoggerOptions } from '../../../src/telemetry/logger.ts';

function collect(changes: Partial<LoggerOptions>): { lines: string[]; log: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  return { lines, log: createLogger({ level: 'info', format: 'json', write: (line) => lines.push(line), redact: (line) => line, ...changes }) };
}

describe('createLogger', () => {
  it('writes one JSON object per line with the level as a word', () => {
    const { lines, log } = collect({});
    log.child({ connector: 'shop' }).warn('The slot is lost.', { code: 'SLUICE_X', remedy: 'Do this.' });
    expect(lines).toHaveLength(1);
    const { time, ...rest } = JSON.parse(lines[0] as string) as Record<string, unknown>;
    expect(String(time)).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(rest).toEqual({ level: 'warn', connector: 'shop', code: 'SLUICE_X', remedy: 'Do this.', msg: 'The slot is lost.' });
  });

  it('says nothing below its level', () => {
    const { lines, log } = collect({ level: 'warn' });
    log.info('x');
    log.debug('y');
    expect(lines).toEqual([]);
  });

  it('redacts the message and every field that a secret got into (I12)', () => {
    const { lines, log } = collect({ redact: (text) => text.replaceAll('hunter2', '***') });
    log.child({ server: 'hunter2' }).error('password hunter2 refused', { remedy: 'not hunter2', table: 'hunter2.t' });
    expect(lines[0]).not.toContain('hunter2');
    expect(JSON.parse(lines[0] as string)).toMatchObject({ msg: 'password *** refused', remedy: 'not ***', table: '***.t', server: '***' });
  });

  it.each(['1', 'msg', '"', 'info', 'shop', 'SLUICE_X'])('a secret that is part of what every line holds (%s) breaks no line', (secret) => {
    for (const format of ['json', 'pretty'] as const) {
      const { lines, log } = collect({ format, redact: (text) => text.replaceAll(secret, '***') });
      log.child({ connector: 'shop' }).info('Trying again.', { code: 'SLUICE_X', attempt: 1 });
      const attempt = secret === '1' ? '***' : 1;
      if (format === 'pretty') expect(lines[0]).toContain(` INFO  shop: Trying again. (SLUICE_X attempt=${attempt})`);
      else
        expect(JSON.parse(lines[0] as string)).toMatchObject({ level: 'info', connector: 'shop', msg: 'Trying again.', code: 'SLUICE_X', attempt });
    }
  });

  it('pretty: one line for a person, the remedy below it', () => {
    const { lines, log } = collect({ format: 'pretty' });
    log.child({ connector: 'shop' }).error('Stopped.', { code: 'SLUICE_X', remedy: 'Do this.', table: 'public.t' });
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d ERROR shop: Stopped\. \(SLUICE_X table=public\.t\)\n +→ Do this\.\n$/);
  });
});
