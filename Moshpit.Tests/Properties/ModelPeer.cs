namespace Moshpit.Tests.Properties;

/// <summary>A participant of a <see cref="SessionModel"/>.</summary>
internal sealed class ModelPeer(ModelRequest first, int number, ModelEvent joined)
{
    /// <summary>Null: it is a plain peer.</summary>
    public string? Secret => first.Secret;

    public int Number => number;

    public ModelEvent Joined => joined;

    /// <summary>It asked to hear of all others.</summary>
    public bool HearsAll => Secret is not null && first.HearsAll;

    /// <summary>What it says about itself, as it is told; null: nothing.</summary>
    public string? Meta => Secret is null ? null : first.Meta;

    public SortedSet<long> Accepted { get; } = [];

    public int Streams { get; set; }

    /// <summary>When its streams were opened.</summary>
    public List<double> Opens { get; } = [];

    /// <summary>Null: the peer is away.</summary>
    public ModelStream? Stream { get; set; }

    /// <summary>Learnt from its first <c>connect</c>.</summary>
    public string? Cid { get; set; }

    public string? Token { get; set; }
}

/// <summary>Something that took a number in its channel, at a time.</summary>
/// <param name="text">What is told of it.</param>
/// <param name="id">Its id, with {0} for its number; empty: the channel has no ids yet.</param>
/// <param name="to">The peers for which it is kept.</param>
/// <param name="at">When.</param>
internal sealed class ModelEvent(string text, string id, ModelPeer[] to, double at)
{
    public string Text => text;

    public string Id => id;

    public ModelPeer[] To => to;

    public double At => at;

    /// <summary>One of <see cref="To"/> that sent it and wanted no echo.</summary>
    public ModelPeer? Untold { get; init; }

    /// <summary>It is a message to all, but for its sender if that wanted no echo.</summary>
    public bool IsBroadcast { get; set; }

    /// <summary>Learnt where it is first told.</summary>
    public long Seq { get; set; }

    /// <summary>Bytes of it that count against the history.</summary>
    public int Length { get; set; }
}

/// <summary>A GET of "/" or of a channel.</summary>
/// <param name="Secret">Of its session; null: it asks for a plain stream.</param>
/// <param name="Channel">The id or the name, or "/".</param>
/// <param name="Last">The last id, if it has one.</param>
internal sealed record ModelRequest(string? Secret, string Channel, string? Last)
{
    /// <summary>It says <c>create=1</c>.</summary>
    public bool Creates { get; init; }

    /// <summary>What it wants the channel to be if it creates it; null: one of these values is wrong.</summary>
    public ModelRoom? Room { get; init; } = ModelRoom.Default;

    /// <summary>It says <c>presence=all</c>.</summary>
    public bool HearsAll { get; init; }

    /// <summary>What it says about itself, as it is told.</summary>
    public string? Meta { get; init; }
}

/// <summary>The settings of a channel.</summary>
internal sealed record ModelRoom(bool IsLocked = false, int Max = 0, bool OwnerPublishes = false, bool IsKept = false)
{
    public static readonly ModelRoom Default = new();

    /// <summary>The members that differ from the default.</summary>
    public string Differences => string.Concat(Members.Except(Default.Members));

    public override string ToString() => string.Concat(Members);

    private string[] Members =>
    [
        IsLocked ? " locked=true" : " locked=false", $" max={Max}", OwnerPublishes ? " publish=owner" : " publish=all",
        IsKept ? " keep=true" : " keep=false",
    ];
}

/// <summary>A POST with data.</summary>
/// <param name="Data">The JSON.</param>
/// <param name="Seq">Its number.</param>
/// <param name="To">Peers that it names; null: none.</param>
internal sealed record ModelMessage(string Data, long Seq, ModelPeer[]? To)
{
    /// <summary>It names them in an array.</summary>
    public bool HasArray { get; init; }

    /// <summary>It says <c>echo:false</c>.</summary>
    public bool HasNoEcho { get; init; }
}
