/** Locales for a server on a machine that has none but C: a monetary locale is all that the tests need of one. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../servers/command.ts';
import { temporaryDirectory } from '../servers/process.ts';

/** Makes monetary locales `xx_T<digits>` (`1.234,56 X`), one for each number of digits after the point; answers with the directory for LOCPATH. */
export async function monetaryLocales(digits: readonly number[]): Promise<string> {
  const directory = await temporaryDirectory('locales');
  const charmap = join(directory, 'charmap');
  const codes = Array.from({ length: 128 }, (_, code) => code.toString(16).padStart(2, '0'));
  const lines = [
    '<code_set_name> SLUICE',
    '<escape_char> /',
    'CHARMAP',
    ...codes.map((code) => `<U00${code.toUpperCase()}> /x${code} c`),
    'END CHARMAP',
  ];
  await writeFile(charmap, `${lines.join('\n')}\n`);
  for (const count of digits) {
    const source = join(directory, `T${count}.src`);
    await writeFile(source, locale(count));
    // It complains of the categories that are not there and ends with 1, but with -c it writes the one that is.
    await run('localedef', ['-c', '-i', source, '-f', charmap, join(directory, `xx_T${count}`)]).catch(() => undefined);
    await run('cat', [join(directory, `xx_T${count}`, 'LC_MONETARY')]);
  }
  return directory;
}

const locale = (digits: number): string => `escape_char /
comment_char %
LC_MONETARY
int_curr_symbol "<U0058><U0058><U0058><U0020>"
currency_symbol "<U0058>"
mon_decimal_point "<U002C>"
mon_thousands_sep "<U002E>"
mon_grouping 3;3
positive_sign ""
negative_sign "<U002D>"
int_frac_digits ${digits}
frac_digits ${digits}
p_cs_precedes 0
p_sep_by_space 1
n_cs_precedes 0
n_sep_by_space 1
p_sign_posn 1
n_sign_posn 1
END LC_MONETARY
`;
