-- Means over all questions, unsolved ones included, of the draws below k of each source.
with
  accepted as (
    select question_id, draw, path, path_canonical
    from verdicts
    where right_answer and not bad_equation
  ),
  ks as (select unnest($ks::integer[]) as k),
  drawn as (
    select k, count(*) as draws, sum(right_answer::bigint) as right_answers
    from ks join verdicts on draw < k
    group by k
  ),
  sampled as (
    select k, question_id, path, path_canonical, true as is_sample
    from ks join accepted on draw < k
  ),
  pooled as (
    from sampled
    union all
    select k, question_id, path, path_canonical, false from ks, human
  )
select
  k,
  any_value(draws) / $questions as draws,
  any_value(right_answers) / $questions as right_answers,
  count(*) filter (is_sample) / $questions as accepted,
  count(distinct (question_id, path)) filter (is_sample and path is not null) / $questions as paths,
  count(distinct (question_id, path_canonical)) filter (is_sample and path_canonical is not null) / $questions as paths_canonical,
  count(distinct (question_id, path)) filter (path is not null) / $questions as paths_with_human,
  count(distinct (question_id, path_canonical)) filter (path_canonical is not null) / $questions as paths_canonical_with_human
from drawn left join pooled using (k)
group by k
order by k
