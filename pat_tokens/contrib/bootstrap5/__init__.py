"""The pages in the style of Bootstrap 5: templates of elements, without a stylesheet. List it before `pat_tokens`."""
