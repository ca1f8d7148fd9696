-- $1: organization as int4 (plain)
-- $2: 0 as int4
-- $3: $replies.body._like as text
-- $4: $bodies as text[]
-- $5: $tags as text[]
-- $6: $limit as int4 (limit)
WITH batch AS MATERIALIZED (
  SELECT given.number, given.p0::text AS p0, given.p1::text[] AS p1, given.p2::text AS p2, given.p3::int4 AS p3
  FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS given (p0, p1, p2, p3, number)
)
SELECT batch.number,
(SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
    SELECT t1."body" AS "body"
    FROM (SELECT * FROM "public"."replies" WHERE "organization_id" = $1::int4 OFFSET 0) AS t1
    WHERE t1."note_id" = t0."id" AND (t1."body" LIKE (SELECT batch.p0::text)::text)
  ) AS t2) AS "replies"
  FROM (SELECT * FROM "public"."notes" WHERE "organization_id" = $1::int4 OFFSET 0) AS t0
  WHERE ((t0."body" = ANY (batch.p1::text[])) OR (t0."tags" = (SELECT batch.p2::text::text[])::text[])) AND (t0."id" > $2::int4)
  ORDER BY t0."id" ASC NULLS LAST
  LIMIT batch.p3::int4
) AS t3) AS f0
FROM batch;
