"""Providers as LiteLLM names them: where each is, and which variables of the environment are its.

The one list of them: what goes where (:mod:`sandbox.models.routes`), ``sandbox doctor`` and
``docs/models.md`` are made from it, and tests hold every line against the installed LiteLLM. A provider
that is not here is refused, since nobody has looked where LiteLLM sends which key for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Family:
    """The first part of a model's name: a provider, or a kind of server."""

    hosts: tuple[str, ...] = ()
    """Its own, with all below them; ``*`` is one part. None where it is a server of its user's, anywhere."""
    keys: tuple[str, ...] = ()
    """Variables for its key: the first that is set counts. None where LiteLLM reads its credentials."""
    places: tuple[str, ...] = ()
    """Variables that say where it is; the first that is set counts."""
    usual: str = ""
    """Address of a server that runs on its user's machine."""
    bound: bool = False
    """Whether it is asked at its own hosts only: LiteLLM asks nowhere else, or signs there as well."""
    tenant: bool = False
    """Whether each of its users has an address of their own at those hosts."""
    signs: tuple[str, ...] = ()
    """Variables with which LiteLLM signs in by itself: none may be set where another host is asked."""

    def owns(self, host: str) -> bool:
        """Return whether a host is the provider's."""
        return any(_ends(host.lower().split("."), own.split(".")) for own in self.hosts)


def _ends(host: list[str], own: list[str]) -> bool:
    end = host[-len(own) :]
    return len(end) == len(own) and all(b in ("*", a) for a, b in zip(end, own, strict=True))


def _own(hosts: str, keys: str, places: str = "") -> Family:
    return Family(tuple(hosts.split()), tuple(keys.split()), tuple(places.split()))


def _yours(keys: str = "", places: str = "", usual: str = "") -> Family:
    return Family((), tuple(keys.split()), tuple(places.split()), usual)


def _bound(hosts: str, keys: str = "", places: str = "", signs: str = "") -> Family:
    return replace(_own(hosts, keys, places), bound=True, signs=tuple(signs.split()))


_ENTRA = (
    "AZURE_AD_TOKEN",
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE",
)
_AZURE = (
    "openai.azure.com",
    "cognitiveservices.azure.com",
    "services.ai.azure.com",
    "models.ai.azure.com",
    "inference.ml.azure.com",
)
_AWS_SIGNS = "AWS_ACCESS_KEY_ID AWS_BEARER_TOKEN_BEDROCK"
_OPENAI = ("api.openai.com", "OPENAI_API_KEY", "OPENAI_BASE_URL OPENAI_API_BASE")
_WATSONX = (
    "ml.cloud.ibm.com",
    "",
    "WATSONX_API_BASE WATSONX_URL WX_URL WML_URL",
    "WATSONX_API_KEY WATSONX_APIKEY WATSONX_TOKEN WATSONX_ZENAPIKEY",
)
_OLLAMA = Family(
    ("ollama.com",), ("OLLAMA_API_KEY",), ("OLLAMA_API_BASE",), "http://localhost:11434"
)

FAMILIES: dict[str, Family] = {
    # servers of their user's
    "hosted_vllm": _yours("HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE"),
    "lm_studio": _yours("LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE"),
    "llamafile": _yours("LLAMAFILE_API_KEY", "LLAMAFILE_API_BASE", "http://127.0.0.1:8080/v1"),
    "litellm_proxy": _yours("LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE"),
    "docker_model_runner": _yours(
        "DOCKER_MODEL_RUNNER_API_KEY",
        "DOCKER_MODEL_RUNNER_API_BASE",
        "http://localhost:22088/engines/llama.cpp",
    ),
    "lemonade": _yours("LEMONADE_API_KEY", "LEMONADE_API_BASE", "http://localhost:8000/api/v1"),
    "xinference": _yours("XINFERENCE_API_KEY", "XINFERENCE_API_BASE"),
    "langgraph": _yours("LANGGRAPH_API_KEY", "LANGGRAPH_API_BASE", "http://localhost:2024"),
    "langflow": _yours("LANGFLOW_API_KEY", "LANGFLOW_API_BASE", "http://localhost:7860"),
    "custom_openai": _yours(),
    "custom": _yours(),
    "oobabooga": _yours(),
    # local servers whose key is that of an account elsewhere
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    # providers
    "openai": _own(*_OPENAI),
    "text-completion-openai": _own(*_OPENAI),
    "anthropic": _own(
        "api.anthropic.com", "ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE ANTHROPIC_BASE_URL"
    ),
    "mistral": _own("api.mistral.ai", "MISTRAL_API_KEY", "MISTRAL_AZURE_API_BASE MISTRAL_API_BASE"),
    "codestral": _own("codestral.mistral.ai", "CODESTRAL_API_KEY", "CODESTRAL_API_BASE"),
    "text-completion-codestral": _own("codestral.mistral.ai", "CODESTRAL_API_KEY"),
    "gemini": _own(
        "generativelanguage.googleapis.com", "GEMINI_API_KEY GOOGLE_API_KEY", "GEMINI_API_BASE"
    ),
    "azure": Family(
        _AZURE,
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_API_BASE",),
        tenant=True,
        signs=_ENTRA,
    ),
    "azure_text": Family(
        _AZURE,
        ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        ("AZURE_API_BASE",),
        tenant=True,
        signs=_ENTRA,
    ),
    "azure_ai": Family(
        _AZURE, ("AZURE_AI_API_KEY",), ("AZURE_AI_API_BASE",), tenant=True, signs=_ENTRA
    ),
    "cohere": _own("api.cohere.com api.cohere.ai", "COHERE_API_KEY CO_API_KEY", "COHERE_API_BASE"),
    "cohere_chat": _own(
        "api.cohere.com api.cohere.ai", "COHERE_API_KEY CO_API_KEY", "COHERE_API_BASE"
    ),
    "openrouter": _own("openrouter.ai", "OPENROUTER_API_KEY OR_API_KEY", "OPENROUTER_API_BASE"),
    "huggingface": _own(
        "huggingface.co",
        "HF_TOKEN HUGGINGFACE_API_KEY",
        "HF_API_BASE HUGGINGFACE_API_BASE",
    ),
    "ai21_chat": _own("api.ai21.com", "AI21_API_KEY", "AI21_API_BASE"),
    "aihubmix": _own("aihubmix.com", "AIHUBMIX_API_KEY", "AIHUBMIX_API_BASE"),
    "aiml": _own("api.aimlapi.com", "AIML_API_KEY", "AIML_API_BASE"),
    "amazon_nova": _own("api.nova.amazon.com", "AMAZON_NOVA_API_KEY", "AMAZON_NOVA_API_BASE"),
    "assemblyai": _own("llm-gateway.assemblyai.com", "ASSEMBLYAI_API_KEY"),
    "baseten": _own("inference.baseten.co api.baseten.co", "BASETEN_API_KEY", "BASETEN_API_BASE"),
    "cerebras": _own("api.cerebras.ai", "CEREBRAS_API_KEY", "CEREBRAS_API_BASE"),
    "chutes": _own("llm.chutes.ai", "CHUTES_API_KEY"),
    "cloudflare": _own("api.cloudflare.com", "CLOUDFLARE_API_KEY", "CLOUDFLARE_API_BASE"),
    "cometapi": _own(
        "api.cometapi.com", "COMETAPI_KEY COMETAPI_API_KEY", "COMETAPI_API_BASE COMETAPI_BASE_URL"
    ),
    "compactifai": _own("api.compactif.ai", "COMPACTIFAI_API_KEY", "COMPACTIFAI_API_BASE"),
    "crusoe": _own(
        "managed-inference-api-proxy.crusoecloud.com", "CRUSOE_API_KEY", "CRUSOE_API_BASE"
    ),
    "dashscope": _own(
        "dashscope.aliyuncs.com dashscope-intl.aliyuncs.com",
        "DASHSCOPE_API_KEY",
        "DASHSCOPE_API_BASE",
    ),
    "datarobot": _own("datarobot.com", "DATAROBOT_API_TOKEN", "DATAROBOT_ENDPOINT"),
    "deepinfra": _own("api.deepinfra.com", "DEEPINFRA_API_KEY", "DEEPINFRA_API_BASE"),
    "deepseek": _own("api.deepseek.com", "DEEPSEEK_API_KEY", "DEEPSEEK_API_BASE"),
    "edenai": _own("api.edenai.run", "EDENAI_API_KEY", "EDENAI_API_BASE"),
    "empower": _own("app.empower.dev", "EMPOWER_API_KEY", "EMPOWER_API_BASE"),
    "featherless_ai": _own(
        "api.featherless.ai",
        "FEATHERLESS_AI_API_KEY FEATHERLESS_API_KEY",
        "FEATHERLESS_AI_API_BASE FEATHERLESS_API_BASE",
    ),
    "fireworks_ai": _own(
        "api.fireworks.ai",
        "FIREWORKS_API_KEY FIREWORKS_AI_API_KEY FIREWORKSAI_API_KEY FIREWORKS_AI_TOKEN",
        "FIREWORKS_API_BASE FIREWORKS_AI_API_BASE",
    ),
    "friendliai": _own("api.friendli.ai", "FRIENDLIAI_API_KEY FRIENDLI_TOKEN", "FRIENDLI_API_BASE"),
    "galadriel": _own("api.galadriel.com", "GALADRIEL_API_KEY", "GALADRIEL_API_BASE"),
    "github": _own(
        "models.inference.ai.azure.com models.github.ai", "GITHUB_API_KEY", "GITHUB_API_BASE"
    ),
    "gmi": _own("api.gmi-serving.com", "GMI_API_KEY"),
    "groq": _own("api.groq.com", "GROQ_API_KEY", "GROQ_API_BASE"),
    "helicone": _own("ai-gateway.helicone.ai", "HELICONE_API_KEY", "HELICONE_API_BASE"),
    "heroku": Family(
        ("inference.heroku.com",), ("HEROKU_API_KEY",), ("HEROKU_API_BASE",), tenant=True
    ),
    "hyperbolic": _own("api.hyperbolic.xyz", "HYPERBOLIC_API_KEY", "HYPERBOLIC_API_BASE"),
    "inception": _own("api.inceptionlabs.ai", "INCEPTION_API_KEY", "INCEPTION_API_BASE"),
    "lambda_ai": _own("api.lambda.ai", "LAMBDA_API_KEY", "LAMBDA_API_BASE"),
    "llamagate": _own("api.llamagate.dev", "LLAMAGATE_API_KEY"),
    "maritalk": _own("chat.maritaca.ai", "MARITALK_API_KEY", "MARITALK_API_BASE"),
    "meta": _own("api.meta.ai", "META_API_KEY", "META_API_BASE"),
    "meta_llama": _own("api.llama.com", "LLAMA_API_KEY", "LLAMA_API_BASE"),
    "minimax": _own("api.minimax.io api.minimaxi.com", "MINIMAX_API_KEY", "MINIMAX_API_BASE"),
    "modelscope": _own("api-inference.modelscope.cn", "MODELSCOPE_API_KEY", "MODELSCOPE_API_BASE"),
    "moonshot": _own("api.moonshot.ai api.moonshot.cn", "MOONSHOT_API_KEY", "MOONSHOT_API_BASE"),
    "morph": _own("api.morphllm.com", "MORPH_API_KEY", "MORPH_API_BASE"),
    "nano-gpt": _own("nano-gpt.com", "NANOGPT_API_KEY"),
    "nebius": _own(
        "api.studio.nebius.ai api.studio.nebius.com", "NEBIUS_API_KEY", "NEBIUS_API_BASE"
    ),
    "nlp_cloud": _own("api.nlpcloud.io", "NLP_CLOUD_API_KEY", "NLP_CLOUD_API_BASE"),
    "novita": _own("api.novita.ai", "NOVITA_API_KEY", "NOVITA_API_BASE"),
    "nscale": _own("inference.api.nscale.com", "NSCALE_API_KEY", "NSCALE_API_BASE"),
    "nvidia_nim": _own("integrate.api.nvidia.com", "NVIDIA_NIM_API_KEY", "NVIDIA_NIM_API_BASE"),
    "ovhcloud": _own("endpoints.kepler.ai.cloud.ovh.net", "OVHCLOUD_API_KEY", "OVHCLOUD_API_BASE"),
    "perplexity": _own(
        "api.perplexity.ai", "PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY", "PERPLEXITY_API_BASE"
    ),
    "poe": _own("api.poe.com", "POE_API_KEY"),
    "publicai": _own("api.publicai.co", "PUBLICAI_API_KEY", "PUBLICAI_API_BASE"),
    "qwen_ai_platform": _own(
        "dashscope.aliyuncs.com",
        "QWEN_AI_PLATFORM_API_KEY DASHSCOPE_API_KEY",
        "QWEN_AI_PLATFORM_API_BASE",
    ),
    "qwencloud": _own(
        "dashscope-intl.aliyuncs.com", "QWENCLOUD_API_KEY DASHSCOPE_API_KEY", "QWENCLOUD_API_BASE"
    ),
    "reka": _own("api.reka.ai", "REKA_API_KEY", "REKA_API_BASE"),
    "sambanova": _own("api.sambanova.ai", "SAMBANOVA_API_KEY", "SAMBANOVA_API_BASE"),
    "sarvam": _own("api.sarvam.ai", "SARVAM_API_KEY"),
    "scaleway": _own("api.scaleway.ai", "SCW_SECRET_KEY"),
    "synthetic": _own("api.synthetic.new", "SYNTHETIC_API_KEY"),
    "tencent": _own("tokenhub-intl.tencentcloudmaas.com", "TENCENT_API_KEY", "TENCENT_API_BASE"),
    "tensormesh": _own(
        "serverless.tensormesh.ai", "TENSORMESH_INFERENCE_API_KEY", "TENSORMESH_SERVERLESS_BASE_URL"
    ),
    "together_ai": _own(
        "api.together.ai api.together.xyz",
        "TOGETHER_API_KEY TOGETHER_AI_API_KEY TOGETHERAI_API_KEY TOGETHER_AI_TOKEN",
        "TOGETHER_AI_API_BASE",
    ),
    "v0": _own("api.v0.dev", "V0_API_KEY", "V0_API_BASE"),
    "veniceai": _own("api.venice.ai", "VENICE_AI_API_KEY"),
    "vercel_ai_gateway": _own(
        "ai-gateway.vercel.sh",
        "VERCEL_AI_GATEWAY_API_KEY VERCEL_OIDC_TOKEN",
        "VERCEL_AI_GATEWAY_API_BASE",
    ),
    "volcengine": _own(
        "ark.cn-beijing.volces.com",
        "VOLCENGINE_API_KEY ARK_API_KEY",
        "VOLCENGINE_API_BASE ARK_API_BASE",
    ),
    "wandb": _own("api.inference.wandb.ai", "WANDB_API_KEY", "WANDB_API_BASE"),
    "xai": _own("api.x.ai", "XAI_API_KEY", "XAI_API_BASE"),
    "xiaomi_mimo": _own("api.xiaomimimo.com", "XIAOMI_MIMO_API_KEY"),
    "zai": _own("api.z.ai", "ZAI_API_KEY", "ZAI_API_BASE"),
    # asked at their own hosts only
    "bedrock": _bound(
        "bedrock-runtime.*.amazonaws.com",
        "",
        "AWS_BEDROCK_RUNTIME_ENDPOINT AWS_BEDROCK_BASE_URL BEDROCK_API_BASE",
        _AWS_SIGNS,
    ),
    "bedrock_mantle": _bound(
        "bedrock-mantle.*.api.aws",
        "",
        "BEDROCK_MANTLE_API_BASE",
        f"BEDROCK_MANTLE_API_KEY {_AWS_SIGNS}",
    ),
    "sagemaker": _bound("runtime.sagemaker.*.amazonaws.com", signs=_AWS_SIGNS),
    "sagemaker_chat": _bound("runtime.sagemaker.*.amazonaws.com", signs=_AWS_SIGNS),
    "vertex_ai": _bound(
        "googleapis.com",
        "",
        "VERTEXAI_API_BASE VERTEX_API_BASE",
        "GOOGLE_APPLICATION_CREDENTIALS VERTEXAI_CREDENTIALS VERTEX_CREDENTIALS",
    ),
    "watsonx": _bound(*_WATSONX),
    "watsonx_text": _bound(*_WATSONX),
    "databricks": _bound(
        "cloud.databricks.com azuredatabricks.net gcp.databricks.com",
        "",
        "DATABRICKS_API_BASE",
        "DATABRICKS_API_KEY DATABRICKS_TOKEN DATABRICKS_CLIENT_SECRET",
    ),
    "snowflake": _bound("snowflakecomputing.com", signs="SNOWFLAKE_JWT"),
    "oci": _bound("generativeai.*.oci.oraclecloud.com", signs="OCI_KEY"),
    "gigachat": _bound(
        "gigachat.devices.sberbank.ru",
        "",
        "GIGACHAT_API_BASE",
        "GIGACHAT_CREDENTIALS GIGACHAT_ACCESS_TOKEN GIGACHAT_API_KEY",
    ),
    "predibase": _bound("predibase.com", "PREDIBASE_API_KEY", "PREDIBASE_API_BASE"),
    "replicate": _bound("api.replicate.com", "REPLICATE_API_KEY REPLICATE_API_TOKEN"),
    "bytez": _bound("api.bytez.com", "BYTEZ_API_KEY"),
}
"""First part of a model's name → what is known of it."""
