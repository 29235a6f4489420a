/** The proleptic Gregorian calendar in integers. JavaScript's Date holds neither microseconds nor PostgreSQL's years. */

const DAYS_PER_ERA = 146_097;
/** Days from 0000-03-01 to 1970-01-01. */
const EPOCH = 719_468;

/**
 * Days from 1970-01-01 to a date; years are astronomical (1 BC = 0). Years begin in March here, so that the leap day is the last of its year; 400
 * years are always the same number of days.
 */
export function daysFromDate(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = ((((month > 2 ? month - 3 : month + 9) * 153 + 2) / 5) | 0) + day - 1;
  return era * DAYS_PER_ERA + yearOfEra * 365 + (yearOfEra >> 2) - ((yearOfEra / 100) | 0) + dayOfYear - EPOCH;
}

/** `YYYY-MM-DDTHH:MM:SS.ffffffZ` of microseconds since the epoch, for years 0 to 9999. */
export function isoFromMicros(micros: number): string {
  const seconds = Math.floor(micros / 1e6);
  const days = Math.floor(seconds / 86_400);
  const ofDay = seconds - days * 86_400;
  const shifted = days + EPOCH;
  const era = Math.floor(shifted / DAYS_PER_ERA);
  const dayOfEra = shifted - era * DAYS_PER_ERA;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const date = `${padded(year, 4)}-${padded(month, 2)}-${padded(day, 2)}`;
  const time = `${padded(Math.floor(ofDay / 3600), 2)}:${padded(Math.floor(ofDay / 60) % 60, 2)}:${padded(ofDay % 60, 2)}`;
  return `${date}T${time}.${padded(micros - seconds * 1e6, 6)}Z`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
