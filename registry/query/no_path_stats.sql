create or replace view path_stats as
select
  null::varchar as name,
  null::integer as version,
  null::varchar as question_id,
  null::bigint as draws,
  null::bigint as right_answers,
  null::bigint as accepted,
  null::bigint as paths,
  null::bigint as paths_canonical,
  null::bigint as paths_with_human,
  null::bigint as paths_canonical_with_human,
  null::bigint as kept
where false
