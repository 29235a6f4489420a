export { isPatternError, parsePattern, parsePatterns, type TablePattern } from '#plugin';
