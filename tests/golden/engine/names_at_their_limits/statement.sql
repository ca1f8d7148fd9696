-- $1: 1 as int4
-- $2: $word as quo"te
WITH written AS (
  INSERT INTO "public"."nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" AS t0 ("select", "word")
  VALUES ($1::int4, $2::"public"."quo""te")
  ON CONFLICT ON CONSTRAINT "Key" DO UPDATE SET "word" = EXCLUDED."word"
    WHERE TRUE
  RETURNING t0.*
)
SELECT (SELECT t2.object FROM (
  SELECT JSON_OBJECT ('select' VALUE t1."select", 'ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc' VALUE t1."ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", 'word' VALUE t1."word", 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1' VALUE t1."word", 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2' VALUE t1."select" RETURNING json) AS object
  FROM written AS t1 LIMIT 1
) AS t2);
