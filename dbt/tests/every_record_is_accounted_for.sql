select *
from {{ ref('data_quality') }}
where not is_held and records <> rejected + duplicates + superseded + quarantined + loaded
