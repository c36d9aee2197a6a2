{# Without statistics the planner scans whole tables. Autovacuum renews them later. A view has none. #}
{% macro analyze_new_table() -%}
    {%- if config.get('materialized') != 'view' and not changed_only() -%}
        analyze {{ this }}
    {%- endif -%}
{%- endmacro %}


{# Set comments only when a table is new: to set them on every daily build takes longer than the build. #}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- if not is_incremental() -%}
        {{ default__persist_docs(relation, model, for_relation, for_columns) }}
    {%- endif -%}
{%- endmacro %}
