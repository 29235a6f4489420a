import { describe, expect, it } from 'vitest';
import { beginsTransaction, kindOfStatement, needsCatalogue, type StatementKind } from '../../../../connectors/mysql/log/statements.ts';

describe('statements of the log', () => {
  it.each<[string, StatementKind]>([
    ['BEGIN', 'begin'],
    ['COMMIT', 'commit'],
    ['commit /* late */', 'commit'],
    ['ROLLBACK', 'rollback'],
    ['ROLLBACK TO `s1`', 'rollbackTo'],
    ['ROLLBACK WORK TO SAVEPOINT s1', 'rollbackTo'],
    ['SAVEPOINT `s1`', 'plain'],
    ["XA START X'01',X'',1", 'xa'],
    ['TRUNCATE t', 'truncate'],
    ['alter table t add c int', 'plain'],
    ['/* comment */ alter /*!80000 table */ t add c int', 'plain'],
    ['/*!40000 ALTER TABLE `t` DISABLE KEYS */', 'plain'],
    ['/*M!100100 CREATE TABLE t (a int) */', 'plain'],
    ['-- why\nDROP TABLE t', 'plain'],
    ['# Dummy event replacing event type 160 that slave cannot handle.', 'plain'],
    ['# a\nINSERT INTO t VALUES (1)', 'rows'],
    ['/* BEGIN */ insert into t values (1)', 'rows'],
    ['/*!50003 DELETE FROM t */', 'rows'],
    ['(INSERT INTO t VALUES (1))', 'rows'],
    ['WITH a AS (SELECT 1) DELETE FROM t', 'rows'],
    ['LOAD DATA INFILE "x" INTO TABLE t', 'rows'],
    ['CALL p()', 'rows'],
    ['CREATE TABLE b AS SELECT * FROM a', 'rows'],
    ['create or replace table b (id int) ignore select id from a', 'rows'],
    ['CREATE TABLE IF NOT EXISTS b TABLE a', 'rows'],
    ['CREATE TABLE b AS VALUES ROW(1), ROW(2)', 'rows'],
    ['CREATE TABLE b /*!50100 AS SELECT 1 */', 'rows'],
    ["CREATE TABLE b (c varchar(9) COMMENT 'it\\'s SELECT' DEFAULT \"TABLE\", `select` int /* SELECT */)", 'plain'],
    ['CREATE TABLE b (id int) PARTITION BY LIST (id) (PARTITION p VALUES IN (1))', 'plain'],
    ['CREATE TABLE b (id int) /*!50100 PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (1)) */', 'plain'],
    ['CREATE TEMPORARY TABLE b SELECT 1', 'plain'],
    ['CREATE DEFINER=`root`@`%` VIEW v AS SELECT 1', 'plain'],
    ['DROP/* x */TABLE t', 'plain'],
    ['ANALYZE TABLE t', 'plain'],
    ['ANALYZE FORMAT=JSON UPDATE t SET a = 1', 'rows'],
    ['SET STATEMENT max_statement_time=10 FOR INSERT INTO t VALUES (1)', 'rows'],
    ['SET /* a */ STATEMENT sql_mode=\' FOR \', lc_messages="FOR" FOR ALTER TABLE t ADD a int', 'plain'],
    ['SET STATEMENT max_statement_time=10 FOR CREATE TABLE b SELECT 1', 'rows'],
    ['SET STATEMENT max_statement_time=10 FOR TRUNCATE t', 'truncate'],
    ['SET STATEMENT max_statement_time=10', 'unknown'],
    ["SET PASSWORD FOR 'a'@'%' = 'x'", 'plain'],
    ["CREATE TABLE `select` (a int COMMENT 'it''s a select', b varchar(9) DEFAULT \"select\\\"\")", 'plain'],
    ['MERGE INTO t', 'unknown'],
    ['', 'plain'],
  ])('%s: %s', (sql, kind) => {
    expect(kindOfStatement(sql, true)).toBe(kind);
  });

  it.each([
    ['CREATE TABLE t (id uuid)', true],
    ['ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES q (id)', true],
    ['RENAME TABLE a TO b', true],
    ["ALTER TABLE t ADD `uuid` int COMMENT 'like'", false],
  ])('%s is looked up: %s', (sql, expected) => {
    expect(needsCatalogue(sql, true)).toBe(expected);
  });

  it.each<[string, StatementKind]>([
    ["CREATE TABLE b (c varchar(9) DEFAULT '\\') AS SELECT 'x'", 'rows'],
    ["CREATE TABLE b (c varchar(9) DEFAULT 'a\\', d varchar(9) COMMENT ' SELECT ')", 'plain'],
    ['CREATE TABLE b (c varchar(9) DEFAULT "\\", d int) TABLE a -- \'', 'rows'],
    ["SET STATEMENT lc_messages='\\' FOR TRUNCATE t", 'truncate'],
  ])('without escapes, %s: %s', (sql, kind) => {
    expect(kindOfStatement(sql, false)).toBe(kind);
  });

  it('tells the two apart in time, whatever is between quotes', () => {
    const text = `CREATE TABLE b (c int COMMENT '${'x'.repeat(50_000)}\\')`;
    expect([kindOfStatement(text, false), kindOfStatement(text, true)]).toEqual(['plain', 'plain']);
  });

  it('tells a definition that rows follow', () => {
    expect(beginsTransaction('CREATE TABLE `c` (\n  `id` int\n) START TRANSACTION')).toBe(true);
    expect(beginsTransaction("CREATE TABLE `c` (\n  `id` int COMMENT 'START TRANSACTION')")).toBe(false);
  });
});
